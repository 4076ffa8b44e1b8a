"""Pictures: reading, sizes, face templates, quality limits and anonymization."""
