"""The spotguard command."""
