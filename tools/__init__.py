"""What engineers work with and nobody deploys: the local stack, stand-ins for providers, the command line."""
