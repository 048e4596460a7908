"""What recognition decides, without I/O: merit, outcomes, seasons, rewards, the ledger, badges."""
