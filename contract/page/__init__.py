"""What both reports are made of: panels, their look, and one offline page that draws them.

Imports plotly, jinja2 and markupsafe, which the contract itself does not need: import it where a page is
made.
"""
