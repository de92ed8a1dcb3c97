"""How loops are compiled: `loop` if Python calls them, `helper` if loops do.

Both release Python's lock, so that threads run side by side. What a loop was
compiled to is kept on disk, with its helpers in it. A helper has no entry for
calls from Python, which often takes longer to compile than the helper does.
"""

import numba

loop = numba.njit(nogil=True, cache=True)
helper = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
