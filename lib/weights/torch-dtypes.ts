// The element types of torch: what they are called in its files, their sizes, and ours for them.

import type { Dtype } from './table.js'

/** By the storage classes' names, without 'Storage'. */
const STORAGES: [name: string, dtype: string][] = [
  ['Float', 'float32'],
  ['Double', 'float64'],
  ['Half', 'float16'],
  ['BFloat16', 'bfloat16'],
  ['Long', 'int64'],
  ['Int', 'int32'],
  ['Short', 'int16'],
  ['Char', 'int8'],
  ['Byte', 'uint8'],
  ['Bool', 'bool'],
  ['ComplexFloat', 'complex64'],
  ['ComplexDouble', 'complex128'],
  ['QInt8', 'qint8'],
  ['QUInt8', 'quint8'],
  ['QInt32', 'qint32'],
  ['QUInt4x2', 'quint4x2'],
  ['QUInt2x4', 'quint2x4'],
]

/** Bytes an element, and ours; without ours it is recognised and not read. */
const DTYPES = new Map<string, { bytes: number; ours?: Dtype }>([
  ['float32', { bytes: 4, ours: 'F32' }],
  ['float64', { bytes: 8, ours: 'F64' }],
  ['float16', { bytes: 2, ours: 'F16' }],
  ['bfloat16', { bytes: 2, ours: 'BF16' }],
  ['int64', { bytes: 8, ours: 'I64' }],
  ['int32', { bytes: 4, ours: 'I32' }],
  ['int16', { bytes: 2, ours: 'I16' }],
  ['int8', { bytes: 1, ours: 'I8' }],
  ['uint8', { bytes: 1, ours: 'U8' }],
  ['bool', { bytes: 1, ours: 'BOOL' }],
  ['complex64', { bytes: 8 }],
  ['complex128', { bytes: 16 }],
  ['qint8', { bytes: 1 }],
  ['quint8', { bytes: 1 }],
  ['qint32', { bytes: 4 }],
  ['quint4x2', { bytes: 1 }],
  ['quint2x4', { bytes: 1 }],
  ['uint16', { bytes: 2 }],
  ['uint32', { bytes: 4 }],
  ['uint64', { bytes: 8 }],
  ['float8_e4m3fn', { bytes: 1 }],
  ['float8_e4m3fnuz', { bytes: 1 }],
  ['float8_e5m2', { bytes: 1 }],
  ['float8_e5m2fnuz', { bytes: 1 }],
  ['float8_e8m0fnu', { bytes: 1 }],
])

const byStorage = new Map(STORAGES.map(([name, dtype]) => [`${name}Storage`, dtype]))

/** The dtype of a storage class; undefined for an untyped one. */
export const dtypeOfStorage = (kind: string): string | undefined => byStorage.get(kind)

/** Of a storage class; undefined if torch has no such class. */
export function storageElementBytes(kind: string): number | undefined {
  return kind === 'UntypedStorage' ? 1 : bytesOf(byStorage.get(kind) ?? '')
}

/** Of a dtype; undefined if torch has none of the name. */
export const bytesOf = (dtype: string): number | undefined => DTYPES.get(dtype)?.bytes

/** Undefined for dtypes that are not read. */
export const oursFor = (dtype: string): Dtype | undefined => DTYPES.get(dtype)?.ours
