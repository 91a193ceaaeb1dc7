"""sharpscope: how flat is the minimum that each modality's encoder sits in, and what made it so?"""

from importlib.metadata import version

__version__ = version("sharpscope")
