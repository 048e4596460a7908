"""Rules of the audit: each yields once per fact that it examined, None where the rule holds."""
