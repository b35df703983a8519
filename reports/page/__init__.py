"""The HTML report: one page that needs nothing from elsewhere.

`html` writes it from the templates beside it; `attack_section`, `analysis_section` and `heard` prepare its sections.
"""
