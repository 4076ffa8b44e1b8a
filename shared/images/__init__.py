"""Pictures: decoding, sizes, the landmark template, quality limits and anonymization."""
