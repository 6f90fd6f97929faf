"""The local stack: the whole of paidup on one machine, as template.yaml deploys it, without Docker or an account."""
