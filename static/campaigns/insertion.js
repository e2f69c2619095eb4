// Where an image or another block goes in the source of a mail: into a column of MJML, onto a line of its own in Markdown.
"use strict";

// Return where to insert, and what has to stand around it. Without a cursor (null) that is the end of the content.
window.placeOfBlock = (markup, source, cursor) => {
  if (markup === "mjml") return placeInMjml(source, cursor);
  if (markup === "markdown") return placeInMarkdown(source, cursor);
  if (cursor === null) return { at: before(source, /<\/body\s*>/i), opening: "", closing: "\n" };
  return { at: outsideTag(source, cursor), opening: "", closing: "" };
};

function placeInMjml(source, cursor) {
  const columns = [...source.matchAll(/<mj-column\b[^>]*>([\s\S]*?)<\/mj-column\s*>/gi)].map((found) => {
    const start = found.index + found[0].indexOf(">") + 1;
    return { start, end: start + found[1].length };
  });
  const around = cursor === null ? undefined : columns.find((column) => column.start <= cursor && cursor <= column.end);
  if (around) return { at: betweenChildren(source, around, cursor), opening: "\n", closing: "\n" };
  if (columns.length) {
    const nearest = columns.find((column) => column.end >= (cursor ?? 0)) ?? columns.at(-1);
    return { at: nearest.end, opening: "\n", closing: "\n" };
  }
  const whole = ["<mj-section><mj-column>\n", "\n</mj-column></mj-section>\n"];
  return { at: before(source, /<\/mj-body\s*>/i), opening: whole[0], closing: whole[1] };
}

// Return the first place from the cursor on that lies in no child of the column.
function betweenChildren(source, column, cursor) {
  let depth = 0;
  for (const tag of source.slice(column.start, column.end).matchAll(/<(\/?)mj-[a-z-]+\b[^>]*?(\/?)>/gi)) {
    const start = column.start + tag.index;
    if (depth === 0 && start >= cursor) break;
    if (tag[1]) depth -= 1;
    else if (!tag[2]) depth += 1;
    if (depth === 0 && start + tag[0].length >= cursor) return start + tag[0].length;
  }
  return Math.max(cursor, column.start);
}

function placeInMarkdown(source, cursor) {
  if (cursor === null) return { at: source.length, opening: source.trim() ? "\n\n" : "", closing: "\n" };
  const isLineStart = cursor === 0 || source[cursor - 1] === "\n";
  const isLineEnd = cursor === source.length || source[cursor] === "\n";
  return { at: cursor, opening: "", closing: isLineStart && !isLineEnd ? "\n\n" : "" };
}

function outsideTag(source, cursor) {
  const opened = source.lastIndexOf("<", cursor - 1);
  const closed = source.indexOf(">", opened);
  return opened >= 0 && closed >= cursor ? closed + 1 : cursor;
}

function before(source, pattern) {
  const found = source.search(pattern);
  return found < 0 ? source.length : found;
}
