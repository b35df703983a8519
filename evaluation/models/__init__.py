"""Models: what one must offer (`protocol`), those that are bundled, and adapters to other people's."""
