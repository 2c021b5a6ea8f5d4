"""Tags and filters of the operators' pages."""
