"""The blocked engines: counts cut into tiles, trained by matrix products.

`cutting` cuts counts into tiles and lines, `block_pairs` says which of them are
tiles, `filling` fills them, `tile_files` keeps them in a folder, `layout`
orders them for a pass, `codec` packs a count into 2 bytes, `steps` has the
maths, `programs` compiles it, `passes` and `jobs` plan what is trained when,
and `engine` and `ring` train on one device and on several. `resident` keeps all
cells in the memory of an accelerator. With `missing`, `cells` has the cost of a
tile, `strips` the counts of the words outside of the core, and `fitting` fits
these words to the core.
"""
