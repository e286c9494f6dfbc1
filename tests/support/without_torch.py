"""A Python without torch, where torch is installed: code to put before what is run there."""

WITHOUT_TORCH = """\
import sys
class NoTorch:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
sys.meta_path.insert(0, NoTorch)
"""
