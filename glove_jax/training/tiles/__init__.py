"""The blocked engines: counts cut into tiles, trained by matrix products.

`cutting` cuts counts into tiles and lines, `layout` orders them for a pass,
`codec` packs a count into 2 bytes, `steps` has the maths, and `engine` and
`ring` train on one device and on several.
"""
