// Terminal codes in log lines: colours become class names, everything else is taken away. Nothing is ever HTML.

export interface Piece {
  text: string;
  /** A class such as `fg-1 strong`, or empty. */
  style: string;
}

// CSI sequences, OSC sequences up to their end, and other escapes of one or two letters.
const ESCAPES = /\u001b\[([0-9;:?<=>]*)[ -/]*([@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|\u001b[PX^_][^\u001b]*(?:\u001b\\)?|\u001b[ -/]*[0-~]?/g;
// Control characters that a page should not try to show; the tab stays.
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

export function stripAnsi(line: string): string {
  return line.replace(ESCAPES, '').replace(CONTROLS, '');
}

export function ansiPieces(line: string): Piece[] {
  if (!line.includes('\u001b')) return [{ text: line.replace(CONTROLS, ''), style: '' }];
  const pieces: Piece[] = [];
  let state: Style = { colour: null, strong: false, faint: false };
  let from = 0;
  const push = (text: string): void => {
    const clean = text.replace(CONTROLS, '');
    if (clean === '') return;
    const style = className(state);
    const last = pieces.at(-1);
    if (last?.style === style) last.text += clean;
    else pieces.push({ text: clean, style });
  };
  for (const match of line.matchAll(ESCAPES)) {
    push(line.slice(from, match.index));
    from = match.index + match[0].length;
    if (match[2] === 'm') state = applied(state, match[1] ?? '');
  }
  push(line.slice(from));
  return pieces;
}

interface Style {
  colour: number | null;
  strong: boolean;
  faint: boolean;
}

function applied(before: Style, codes: string): Style {
  const style = { ...before };
  const list = codes.split(/[;:]/).map(Number);
  for (let index = 0; index < list.length; index += 1) {
    const code = list[index] ?? 0;
    if (code === 0) Object.assign(style, { colour: null, strong: false, faint: false });
    else if (code === 1) style.strong = true;
    else if (code === 2) style.faint = true;
    else if (code === 22) Object.assign(style, { strong: false, faint: false });
    else if (code >= 30 && code <= 37) style.colour = code - 30;
    else if (code >= 90 && code <= 97) style.colour = code - 90;
    else if (code === 39) style.colour = null;
    // Colours of 256 or of 16 million are not shown; their numbers must not be read as codes.
    else if (code === 38 || code === 48) index += list[index + 1] === 2 ? 4 : 2;
  }
  return style;
}

function className(style: Style): string {
  return [style.colour === null ? '' : `fg-${style.colour}`, style.strong ? 'strong' : '', style.faint ? 'faint' : '']
    .filter((name) => name !== '')
    .join(' ');
}
