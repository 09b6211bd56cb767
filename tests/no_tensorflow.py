"""Imported first, it makes sure that a program needs no TensorFlow: there is none."""

import sys


class NoTensorFlow:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "tf_keras", "tensorflow_probability"):
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, NoTensorFlow())
