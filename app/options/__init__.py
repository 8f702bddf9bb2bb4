"""What every command takes; app.cli registers them."""
