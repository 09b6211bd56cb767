"""Samplers of other libraries, of the same sizes as ours, for `sampling.py`.

    pip install 'made-tf[benchmark]'

Every peer is an autoregressive model of D variables with hidden layers of the
given widths. The weights are random initial ones: each sampler does the same
work whatever their values, so training would not change the times.

| peer | what it draws | how |
| --- | --- | --- |
| TFP MAF | D normal variables | a while loop of D passes, in one `tf.function` |
| tfd.Autoregressive | D bits | a while loop of D + 1 passes, in one `tf.function` |
| zuko | D normal variables | a Python loop of D passes, without gradients |
| NetKet ARNNDense | D bits | a scan of D passes, compiled by JAX |
| NetKet FastARNNDense | D bits | the same with a cache: one variable of each layer at a time |

The two flows draw continuous variables, so their networks have two outputs for
each variable and ours has one. NetKet's layers are wider: see `build_netket`.

The first call with each n traces or compiles; time the later ones. A returned
function ends when its rows are on the host.

One thread. The calling program restricts itself to one core before anything runs
(`os.sched_setaffinity`, or `taskset -c 0 python ...` from outside): threads that
start later inherit it. TensorFlow and PyTorch then need their own settings as
well (`tf.config.threading`, in the caller; `torch.set_num_threads`, here).
"""

import importlib

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfb, tfd = tfp.bijectors, tfp.distributions


def build_maf(event_size, hidden_units):
    """TFP's masked autoregressive flow (needs tf_keras)."""
    network = tfb.AutoregressiveNetwork(
        params=2, event_shape=[event_size], hidden_units=hidden_units, activation="relu"
    )
    flow = tfd.TransformedDistribution(
        tfd.Sample(tfd.Normal(0.0, 1.0), [event_size]), tfb.MaskedAutoregressiveFlow(network)
    )
    sample = tf.function(flow.sample, autograph=False)
    return lambda n: sample(n).numpy()


def build_autoregressive(event_size, hidden_units):
    """TFP's `Autoregressive` over a network of its own (needs tf_keras).

    The number of steps is a variable. As a plain number it would make TFP write
    out all D + 1 passes in the graph instead of a loop.
    """
    network = tfb.AutoregressiveNetwork(
        params=1, event_shape=[event_size], hidden_units=hidden_units, activation="relu"
    )

    def conditionals(x):
        logits = network(x)[..., 0]
        return tfd.Independent(
            tfd.Bernoulli(logits=logits, dtype=tf.float32), reinterpreted_batch_ndims=1
        )

    distribution = tfd.Autoregressive(
        conditionals,
        sample0=tf.zeros([event_size]),
        num_steps=tf.Variable(event_size, trainable=False),
    )
    sample = tf.function(distribution.sample, autograph=False)
    return lambda n: sample(n).numpy()


def build_zuko(event_size, hidden_units):
    """Zuko's masked autoregressive flow, on PyTorch."""
    torch, zuko = importlib.import_module("torch"), importlib.import_module("zuko")
    torch.set_num_threads(1)
    flow = zuko.flows.MAF(
        features=event_size, transforms=1, hidden_features=tuple(hidden_units)
    ).eval()

    def sample(n):
        with torch.no_grad():
            return flow().sample((n,)).numpy()

    return sample


def build_netket(event_size, hidden_units, kind):
    """NetKet's dense autoregressive networks, on JAX.

    A layer has `features` units for each variable, so its width is a multiple of
    D; the nearest multiple to the wanted width is taken, and at least D. For
    D = 784 and hidden 500-500 that is one feature, hidden 784-784. Outputs are
    two for each variable (its two states): 2.5 million weights, where we have 1.0.
    """
    jax, nk = importlib.import_module("jax"), importlib.import_module("netket")
    nk.config.netket_enable_x64 = False  # float32, as everywhere else here
    hilbert = nk.hilbert.Qubit(event_size)
    features = [max(1, round(units / event_size)) for units in hidden_units]
    model = getattr(nk.models, kind)(
        hilbert=hilbert,
        layers=len(features) + 1,
        features=(*features, hilbert.local_size),
        activation=jax.nn.relu,
        param_dtype=np.float32,
    )
    sampler = nk.sampler.ARDirectSampler(hilbert, dtype=np.float32)
    variables = model.init(jax.random.key(0), np.zeros((1, event_size), np.float32))
    state = sampler.reset(model, variables, sampler.init_state(model, variables, seed=0))

    def sample(n):
        nonlocal state
        rows, state = sampler.sample(model, variables, state=state, chain_length=n)
        return np.asarray(rows)[0]

    return sample


BUILDERS = {
    "TFP MAF": build_maf,
    "tfd.Autoregressive": build_autoregressive,
    "zuko": build_zuko,
    "NetKet ARNNDense": lambda *sizes: build_netket(*sizes, "ARNNDense"),
    "NetKet FastARNNDense": lambda *sizes: build_netket(*sizes, "FastARNNDense"),
}


def available_peers(event_size, hidden_units):
    """Builds what is installed and works: name -> function of n that draws n rows."""
    peers = {}
    for name, build in BUILDERS.items():
        try:
            sample = build(event_size, hidden_units)
            sample(1)
        except ImportError as error:
            print(f"{name}: not installed ({error})")
        except Exception as error:  # noqa: BLE001 - a peer's own failure is a result
            print(f"{name}: failed with {type(error).__name__}: {str(error).splitlines()[0][:80]}")
        else:
            peers[name] = sample
    return peers
