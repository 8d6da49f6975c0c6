// Log lines: terminal codes, long lines, many lines.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ansiPieces, stripAnsi } from '../../src/job/ansi.ts';
import { LINE_CHARS_MAX, levelOf, LINES_MAX, LogBuffer } from '../../src/job/log-buffer.ts';

test('colours become classes, and the text is whole', () => {
  assert.deepEqual(ansiPieces('a \u001b[1;31mred\u001b[0m b'), [
    { text: 'a ', style: '' }, { text: 'red', style: 'fg-1 strong' }, { text: ' b', style: '' },
  ]);
  assert.deepEqual(ansiPieces('\u001b[93mwarn\u001b[39m!'), [{ text: 'warn', style: 'fg-3' }, { text: '!', style: '' }]);
});

test('numbers of 256 and of true colours are no codes of their own', () => {
  assert.deepEqual(ansiPieces('\u001b[38;5;31mx\u001b[38;2;1;31;2my'), [{ text: 'xy', style: '' }]);
});

test('titles, links, cursor moves and broken codes are taken away', () => {
  const table: [string, string][] = [
    ['\u001b]0;title\u0007text', 'text'],
    ['\u001b]8;;javascript:alert(1)\u001b\\link\u001b]8;;\u001b\\', 'link'],
    ['\u001b[2J\u001b[1;1Hclean', 'clean'],
    ['end \u001b', 'end '],
    ['end \u001b[31', 'end 31'],
    ['bell\u0007 null\u0000 tab\tstays', 'bell null tab\tstays'],
    ['<script>alert(1)</script>', '<script>alert(1)</script>'],
  ];
  for (const [line, expected] of table) {
    assert.equal(stripAnsi(line), expected, JSON.stringify(line));
    assert.equal(ansiPieces(line).map((piece) => piece.text).join(''), expected, JSON.stringify(line));
  }
});

test('lines may come in pieces', () => {
  const buffer = new LogBuffer();
  buffer.push('one\ntw');
  buffer.push('o\r\nthr');
  assert.deepEqual(buffer.lines.map((line) => line.text), ['one', 'two']);
  buffer.flush();
  assert.deepEqual(buffer.lines.map((line) => line.text), ['one', 'two', 'thr']);
  assert.deepEqual(buffer.lines.map((line) => line.n), [0, 1, 2]);
});

test('a line of 10 MB is cut, and says how much', () => {
  const buffer = new LogBuffer();
  for (let piece = 0; piece < 10; piece += 1) buffer.push('x'.repeat(1_000_000));
  buffer.push('\nnext\n');
  assert.equal(buffer.lines[0]?.text.length, LINE_CHARS_MAX);
  assert.equal(buffer.lines[0]?.cut, 10_000_000 - LINE_CHARS_MAX);
  assert.equal(buffer.lines[1]?.text, 'next');
});

test('old lines are let go, and counted', () => {
  const buffer = new LogBuffer();
  buffer.push('line\n'.repeat(LINES_MAX + 5));
  assert.equal(buffer.lines.length, LINES_MAX);
  assert.equal(buffer.dropped, 5);
  assert.equal(buffer.lines[0]?.n, 5);
});

test('levels at the head of a line', () => {
  assert.equal(levelOf('2026-11-22 02:03:14 ERROR org.apache.flink - x'), 'error');
  assert.equal(levelOf('Caused by: java.lang.X'), 'error');
  assert.equal(levelOf('12:00 WARN  x'), 'warning');
  assert.equal(levelOf('12:00 INFO  TERRORS are no errors'), null);
});
