"""The operators that TFLM has, and a file made to need no others."""

from __future__ import annotations

from made_tf.export.file.flatbuffer import read_model, write_model
from made_tf.export.file.metadata import seal

__all__ = ["OPERATORS", "resolver_call", "with_select_v2"]

#: What MicroMutableOpResolver can register, as far as samplers may come to need it.
OPERATORS = frozenset(
    """
    ABS ADD ARG_MAX ARG_MIN BATCH_MATMUL BROADCAST_TO CAST CEIL CONCATENATION CUMSUM DIV ELU EQUAL
    EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER
    GREATER_EQUAL HARD_SWISH IF LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR
    LOGISTIC LOG_SOFTMAX MAXIMUM MEAN MINIMUM MUL NEG NOT_EQUAL PACK PAD PADV2 REDUCE_MAX
    REDUCE_MIN RELU RELU6 RESHAPE REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SLICE SOFTMAX SPLIT
    SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM TANH TRANSPOSE UNPACK WHILE
    ZEROS_LIKE
    """.split()  # noqa: SIM905 - a list of quoted names is harder to read
)
# The calls that do not follow from the operator's name.
_OTHER_CALLS = {"BATCH_MATMUL": "AddBatchMatMul", "CUMSUM": "AddCumSum", "PADV2": "AddPadV2"}


def with_select_v2(content: bytes) -> bytes:
    """Replaces SELECT, which TFLM lacks, by SELECT_V2, the same with broadcasting."""
    from tensorflow.lite.python.schema_py_generated import BuiltinOperator, BuiltinOptions

    model = read_model(content)
    for code in model.operatorCodes:
        if code.builtinCode == BuiltinOperator.SELECT:
            code.builtinCode = code.deprecatedBuiltinCode = BuiltinOperator.SELECT_V2
    for graph in model.subgraphs:
        for operator in graph.operators:
            if operator.builtinOptionsType == BuiltinOptions.SelectOptions:
                operator.builtinOptionsType, operator.builtinOptions = 0, None
    return seal(write_model(model))


def resolver_call(name: str) -> str:
    """Returns the call of `MicroMutableOpResolver` that registers an operator."""
    parts = name.split("_")
    return _OTHER_CALLS.get(name, "Add" + "".join(part.capitalize() for part in parts))
