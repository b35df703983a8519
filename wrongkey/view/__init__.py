"""`wrongkey view`: the report's page served to a browser on the same machine, with what needs Python.

`app` is the server, `keys` what is known about one key of a run, `sound` how speech sounds under it.
"""
