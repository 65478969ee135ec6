// Regular expressions over hostile names: all the ways in which one may match are followed at once, so the work is at most the name's length
// times the expression's, where a backtracking engine's has no bound. What nobody needs of a name's expression (looking around, referring back)
// is refused; a group, named or not, only groups.

type Set = (code: number) => boolean;

/** `to`: where to go on besides the next instruction, or, of a jump, instead. */
type Instruction =
  | { readonly kind: "one"; readonly of: Set }
  | { readonly kind: "split" | "jump"; to: number }
  | { readonly kind: "begin" | "end" };

/** Counted repetitions are written out, so a short text can be a long program. */
const MAX_PROGRAM = 2_000;
const MAX_DEPTH = 50;

/** Whether it matches the whole of a name. `(?i)` may stand first. Throws an Error that says what is wrong. */
export const wholeMatcher = (expression: string): ((name: string) => boolean) => {
  const foldsCase = expression.startsWith("(?i)");
  const program = parse(foldsCase ? expression.slice(4) : expression, foldsCase);
  return (name) => run(program, name);
};

const run = (program: readonly Instruction[], name: string): boolean => {
  const seen = new Int32Array(program.length + 1).fill(-1);
  let threads: number[] = [];
  enter(program, seen, threads, 0, 0, name.length);
  for (let i = 0; i < name.length && threads.length > 0; i += 1) {
    const code = name.charCodeAt(i);
    const next: number[] = [];
    for (const at of threads) {
      const instruction = program[at];
      if (instruction?.kind === "one" && instruction.of(code)) enter(program, seen, next, at + 1, i + 1, name.length);
    }
    threads = next;
  }
  return threads.includes(program.length);
};

/** Follows what takes no character; each instruction is reached once for each position. */
const enter = (
  program: readonly Instruction[],
  seen: Int32Array,
  threads: number[],
  from: number,
  position: number,
  end: number,
) => {
  const open = [from];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (seen[at] === position) continue;
    seen[at] = position;
    const instruction = program[at];
    if (instruction === undefined || instruction.kind === "one") threads.push(at);
    else if (instruction.kind === "jump") open.push(instruction.to);
    else if (instruction.kind === "split") open.push(at + 1, instruction.to);
    else if (position === (instruction.kind === "begin" ? 0 : end)) open.push(at + 1);
  }
};

/** Positions within a piece are its own: it can be put anywhere, and more than once. */
type Piece = readonly Instruction[];

const parse = (text: string, foldsCase: boolean): Piece => {
  let at = 0;

  const choice = (depth: number): Piece => {
    if (depth > MAX_DEPTH) throw new Error(`more than ${MAX_DEPTH} brackets within one another`);
    const pieces = [sequence(depth)];
    while (text[at] === "|") {
      at += 1;
      pieces.push(sequence(depth));
    }
    return pieces.reduceRight((rest, piece) => either(piece, rest));
  };

  const sequence = (depth: number): Piece => {
    const pieces: Piece[] = [];
    while (at < text.length && text[at] !== "|" && text[at] !== ")") pieces.push(repeated(atom(depth)));
    return bounded(join(pieces));
  };

  const repeated = (piece: Piece): Piece => {
    const [whole, bounds] = /^(?:[*+?]|\{(\d{1,4}(?:,\d{0,4})?)\})/.exec(text.slice(at, at + 12)) ?? [];
    if (whole === undefined) return piece;
    at += whole.length;
    if (text[at] === "?") at += 1; // lazy: the same names match
    if (/^[*+?{]/.test(text.slice(at))) throw new Error(`nothing to repeat before ${JSON.stringify(text.slice(at, at + 10))}`);
    const [least, most] = boundsOf(whole, bounds);
    if (least > most) throw new Error(`${whole} is the wrong way round`);
    if (Math.max(least, most === Number.POSITIVE_INFINITY ? 1 : most) * (piece.length + 1) > MAX_PROGRAM) throw tooLong();
    const needed = Array.from({ length: least }, () => piece);
    if (most === Number.POSITIVE_INFINITY) return join([...needed, star(piece)]);
    const rest = Array.from({ length: most - least }, () => piece);
    return join([...needed, rest.reduceRight<Piece>((inner, one) => option(join([one, inner])), [])]);
  };

  const atom = (depth: number): Piece => {
    const char = text[at]!;
    at += 1;
    if (char === "(") return group(depth);
    if (char === "[") return [{ kind: "one", of: folded(classOf(), foldsCase) }];
    if (char === ".") return [{ kind: "one", of: () => true }];
    if (char === "^") return [{ kind: "begin" }];
    if (char === "$") return [{ kind: "end" }];
    if (char === "\\") return [{ kind: "one", of: folded(escaped(), foldsCase) }];
    if (/[*+?]/.test(char)) throw new Error(`nothing to repeat before ${JSON.stringify(text.slice(at - 1, at + 9))}`);
    return [{ kind: "one", of: folded(only(char), foldsCase) }];
  };

  const group = (depth: number): Piece => {
    const [special] = /^\?(?::|P?<\w+>)/.exec(text.slice(at, at + 60)) ?? [];
    if (special === undefined && text[at] === "?")
      throw new Error(`no expression of a name needs ${JSON.stringify(text.slice(at - 1, at + 3))}`);
    at += special?.length ?? 0;
    const piece = choice(depth + 1);
    if (text[at] !== ")") throw new Error("a bracket that is not closed");
    at += 1;
    return piece;
  };

  const escaped = (): Set => {
    const char = text[at];
    at += 1;
    if (char === undefined) throw new Error("nothing behind the last backslash");
    const known = CLASSES[char];
    if (known !== undefined) return known;
    if (/[a-zA-Z0-9]/.test(char)) throw new Error(`no expression of a name needs \\${char}`);
    return only(char);
  };

  const classOf = (): Set => {
    const isNegated = text[at] === "^";
    if (isNegated) at += 1;
    const sets: Set[] = [];
    if (text[at] === "]") throw new Error("a ] that stands first is written as \\]"); // engines differ over what it means
    while (text[at] !== "]") {
      if (at >= text.length) throw new Error("a [ that is not closed");
      if (text.startsWith("[:", at)) throw new Error("no expression of a name needs [:…:]");
      sets.push(rangeOrSet());
    }
    at += 1;
    return (code) => sets.some((set) => set(code)) !== isNegated;
  };

  const rangeOrSet = (): Set => {
    const from = text[at]!;
    at += 1;
    const isSet = from === "\\" && CLASSES[text[at] ?? ""] !== undefined;
    if (isSet) return escaped();
    const low = from === "\\" ? literal() : from;
    if (text[at] !== "-" || text[at + 1] === "]" || text[at + 1] === undefined) return only(low);
    at += 2;
    const high = text[at - 1] === "\\" ? literal() : text[at - 1]!;
    if (low > high) throw new Error(`the range ${low}-${high} is the wrong way round`);
    return (code) => code >= low.charCodeAt(0) && code <= high.charCodeAt(0);
  };

  const literal = (): string => {
    const char = text[at] ?? "";
    escaped();
    if (CLASSES[char] !== undefined) throw new Error(`\\${char} is the end of no range`);
    return char;
  };

  const program = choice(0);
  if (at < text.length) throw new Error("a ) without its (");
  return program;
};

const only =
  (char: string): Set =>
  (code) =>
    code === char.charCodeAt(0);

const isDigit: Set = (code) => code >= 0x30 && code <= 0x39;
const isWord: Set = (code) => isDigit(code) || (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a) || code === 0x5f;
const isSpace: Set = (code) => code === 0x20 || (code >= 0x09 && code <= 0x0d);
const CLASSES: Record<string, Set> = {
  d: isDigit,
  D: (code) => !isDigit(code),
  w: isWord,
  W: (code) => !isWord(code),
  s: isSpace,
  S: (code) => !isSpace(code),
};

const folded = (set: Set, foldsCase: boolean): Set => {
  if (!foldsCase) return set;
  return (code) => {
    const char = String.fromCharCode(code);
    return set(char.toLowerCase().charCodeAt(0)) || set(char.toUpperCase().charCodeAt(0));
  };
};

const boundsOf = (whole: string, bounds: string | undefined): [number, number] => {
  if (whole === "*") return [0, Number.POSITIVE_INFINITY];
  if (whole === "+") return [1, Number.POSITIVE_INFINITY];
  if (bounds === undefined) return [0, 1];
  const [least = "", most] = bounds.split(",");
  return [Number(least), most === undefined ? Number(least) : most === "" ? Number.POSITIVE_INFINITY : Number(most)];
};

const tooLong = (): Error => new Error("too long once its repetitions are written out");

const bounded = (piece: Piece): Piece => {
  if (piece.length > MAX_PROGRAM) throw tooLong();
  return piece;
};

const moved = (piece: Piece, by: number): Instruction[] =>
  piece.map((one) => (one.kind === "split" || one.kind === "jump" ? { kind: one.kind, to: one.to + by } : one));

const join = (pieces: readonly Piece[]): Piece => {
  const all: Instruction[] = [];
  for (const piece of pieces) all.push(...moved(piece, all.length));
  return bounded(all);
};

const either = (one: Piece, other: Piece): Piece =>
  join([[{ kind: "split", to: one.length + 2 }], one, [{ kind: "jump", to: other.length + 1 }], other]);

const option = (piece: Piece): Piece => join([[{ kind: "split", to: piece.length + 1 }], piece]);

const star = (piece: Piece): Piece =>
  join([[{ kind: "split", to: piece.length + 2 }], piece, [{ kind: "jump", to: -piece.length - 1 }]]);
