"""What things are and what they allow: values and rules, from the standard library alone."""
