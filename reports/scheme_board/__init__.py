"""The board of schemes that `wrongkey board` makes: one row for a scheme and block size, ordered by who breaks it.

`rows` reads the cells of a board folder, `reference` the row of the keystream cipher, `gather` and `merge` make
`board.json` of them (`schema`, docs/board.md), and `table`, `figures`, `page` and `write` show it.
"""
