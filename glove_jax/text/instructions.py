"""Instructions of the CPU that Python has no words for, for compiled loops."""

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic


def check_compiled() -> None:
  """Raises a ValueError if numba does not compile: Python has no such words."""
  if config.DISABLE_JIT:
    raise ValueError(
      "Text is read by compiled loops, which NUMBA_DISABLE_JIT turns off: "
      "unset it."
    )


@intrinsic
def trailing_zeros(_, number):
  """The number of zeros below the lowest 1 of a uint64, which is not 0.

  trailing_zeros(0b1000) == 3
  """

  def generate(context, builder, signature, arguments):
    is_never_zero = context.get_constant(types.boolean, True)
    return builder.cttz(arguments[0], is_never_zero)

  return types.uint64(types.uint64), generate


@intrinsic
def prefetch(_, array, index):
  """Starts to load array[index] into the cache; any index is allowed."""

  def generate(context, builder, signature, arguments):
    view = cgutils.create_struct_proxy(signature.args[0])
    data = view(context, builder, arguments[0]).data
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    call = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    # To read, to keep in all caches, data.
    builder.call(call, [address, number(0), number(3), number(1)])
    return context.get_dummy_value()

  return types.void(array, types.int64), generate


@intrinsic
def load_bytes(_, array, index):
  """The 8 bytes array[index:index + 8] of a uint8 array as a uint64.

  The first is the lowest: load_bytes([1, 2, 0, 0, 0, 0, 0, 0], 0) == 0x201. It
  is not checked that they are within the array.
  """

  def generate(context, builder, signature, arguments):
    view = cgutils.create_struct_proxy(signature.args[0])
    data = view(context, builder, arguments[0]).data
    eight = ir.IntType(64).as_pointer()
    address = builder.bitcast(builder.gep(data, [arguments[1]]), eight)
    return builder.load(address, align=1)

  return types.uint64(array, types.uint64), generate
