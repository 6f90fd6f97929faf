"""What the API shows, as front-end developers read it. A function imports only what it shows."""
