"""The model: values, and the rules about them. It uses the standard library alone."""
