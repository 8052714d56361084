"""Passport: credentials → identity. Extraction is apart from verification; nothing here serves HTTP."""
