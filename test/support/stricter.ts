// Where our reader refuses on purpose what the official one takes. Nothing else may differ, and
// never the other way round: what the official reader refuses, ours refuses.

export interface Stricter {
  why: string
  /** The cases of safetensors_cases.py; the mutants are told by their message. */
  cases: (string | RegExp)[]
  says: RegExp
}

export const stricter: Stricter[] = [
  {
    why: "the format says that the header begins with '{': a file is told by its ninth byte",
    cases: ['space before'],
    says: /the header does not begin with '\{'/,
  },
  {
    why: 'the format forbids a name twice: one of the two would be lost without a word',
    cases: ['same name and bytes twice', 'same empty tensor twice', 'metadata {"a":"x","a":"y"}'],
    says: /the name ".*" twice in the object/,
  },
  {
    why: 'a key that the format does not know may change what the bytes mean (a scale, say)',
    cases: ['unknown key', 'unknown key, nested'],
    says: /the unknown key/,
  },
  {
    why: 'the format has an object for each tensor and for the metadata, nothing in its place',
    cases: ['entry as an array', 'metadata null'],
    says: /expected '\{' at byte/,
  },
  {
    why: 'weights are never of these dtypes, and LibTorch cannot turn all of them into float',
    cases: [/^dtype '(U16|U32|U64|F8_E4M3|F8_E5M2|C64)'(, 0-d)?$/],
    says: /dtype ".*" is none of/,
  },
  {
    why: "LibTorch's operators take 64 dimensions",
    cases: ['65 dimensions', '200 dimensions'],
    says: /more than 64 dimensions/,
  },
  {
    why: 'LibTorch computes strides as if a dimension of 0 were 1; of more than 2^53 bytes no file is',
    cases: [
      'shape [0,9223372036854775807] of 0 bytes',
      'shape [0,4611686018427387904,4] of 0 bytes',
      'shape [0,2305843009213693952] of 0 bytes', // 2^63 bytes a row
    ],
    says: /its shape is too large/,
  },
  {
    why: 'a bool of another byte than 0 or 1 is undefined behaviour in C++',
    cases: ['BOOL of 2 and 255'],
    says: /a BOOL that is neither 0 nor 1/,
  },
]

export function stricterCase(name: string): Stricter | undefined {
  return stricter.find(({ cases }) =>
    cases.some((known) => (typeof known === 'string' ? known === name : known.test(name))),
  )
}
