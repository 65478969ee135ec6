// Columns for people. Programs take --json.

export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string;
  /** Numbers stand to the right. */
  readonly right?: true;
}

/** Ends with a line break; nothing trails at the ends of lines. `hasHead`: false for a page that goes on. */
export const table = <Row>(columns: readonly Column<Row>[], rows: readonly Row[], hasHead = true): string => {
  const cells = [columns.map(({ head }) => head), ...rows.map((row) => columns.map(({ cell }) => cell(row)))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)));
  const pad = (text: string, i: number) => (columns[i]!.right === true ? text.padStart(widths[i]!) : text.padEnd(widths[i]!));
  return (hasHead ? cells : cells.slice(1)).map((line) => `${line.map(pad).join("  ").trimEnd()}\n`).join("");
};

/** `3 h ago`; `-` for what is not known. */
export const ago = (time: string | undefined, now: number): string => {
  if (time === undefined) return "-";
  const seconds = Math.max(0, Math.round((now - Date.parse(time)) / 1_000));
  const [unit, size] = (
    [
      ["d", 86_400],
      ["h", 3_600],
      ["min", 60],
    ] as const
  ).find(([, length]) => seconds >= 2 * length) ?? ["s", 1];
  return `${Math.floor(seconds / size)} ${unit} ago`;
};

/** Enough of a digest to tell it from others. */
export const short = (digest: string): string => {
  const [algorithm = "", hex = ""] = digest.split(":");
  return `${algorithm}:${hex.slice(0, 12)}`;
};
