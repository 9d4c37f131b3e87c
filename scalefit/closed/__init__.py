"""Any closed-form law on arrays: search, errors and log posterior from its expression and symbolic derivatives."""
