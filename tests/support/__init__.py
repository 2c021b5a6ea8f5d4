"""What tests share: runs and deliveries to start from, faults to inject, and checks of what was published."""
