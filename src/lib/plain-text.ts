// What a program or a server says, for logs and terminals: nothing in it moves a cursor, colours a line or turns its direction round.
import { stripVTControlCharacters } from "node:util";

const LINE_END = /\r\n?|[\u2028\u2029]/g;
const OTHERS = /[^\P{C}\n]|\uFFFD/gu;

/** Lines that end with `\n`, without the blank ones around. */
export const plainText = (text: string): string =>
  stripVTControlCharacters(text).replace(LINE_END, "\n").replaceAll("\t", " ").replace(OTHERS, "").trim();

/** As one line, of `max` UTF-16 units at most. */
export const plainLine = (text: string, max: number): string => {
  const line = plainText(text).replace(/\s+/g, " ");
  if (line.length <= max) return line;
  const cut = line.slice(0, max - 1).toWellFormed();
  return `${cut.replace("\uFFFD", "")}…`;
};
