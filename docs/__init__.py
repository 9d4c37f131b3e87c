"""The documentation site: pages, and what generates the others."""
