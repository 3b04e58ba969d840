"""MENTOR for PyTorch Lightning: reinforcement learning with verifiable rewards under selective expert guidance.

Source of the method: "Selective Expert Guidance for Effective and Diverse Exploration in Reinforcement Learning of
LLMs", arXiv 2510.04140. docs/method.md says which file holds which equation.
"""

__version__ = "0.1.0"
