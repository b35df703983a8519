"""What a report says, as data: `report.json`, from which pages, documents and tables are made.

`report_content` builds it, `schema.py` and docs/report-json.md say what is in it. Nothing here draws or writes.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"report": ["report_content", "content_of"]})
