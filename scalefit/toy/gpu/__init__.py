"""The toy model on a GPU, in Triton: kernels, and the engine that feeds them."""
