"""What every function shares: the HTTP resolver and its refusals, telemetry, settings, the clock."""
