// The spans of a trace as a tree: in the order of its lines, with what each line needs to know of those below it.
// Nothing here recurses: traces of agents that call themselves are thousands of levels deep.

// Types of spans that may do no more than pass on what they were given.
const LEAF_PLUMBING = new Set(["PARSER", "PROMPT"]);
const WRAPPING_PLUMBING = new Set(["CHAIN", "UNKNOWN", "TASK"]);

/**
 * Return the tree of a document's rows.
 *
 * `spans` are in the order of the lines, each with its place `at`, `parent` (a place, or -1), `depth`, and `end`, the place
 * behind the last span below it. Spans whose parent is missing are roots, and so is one of each ring, which broken data has.
 */
export function treeOf(rows) {
  const { above, first, next, start } = linked(rows);
  const spans = [];
  const places = new Map();
  let at = start;
  while (at !== -1) {
    const parent = above[at] === -1 ? null : places.get(rows[above[at]][0]);
    const span = spanOf(rows[at], spans.length, parent);
    places.set(rows[at][0], span);
    spans.push(span);
    if (first[at] !== -1) {
      at = first[at];
      continue;
    }
    while (at !== -1 && next[at] === -1) {
      places.get(rows[at][0]).end = spans.length;
      at = above[at];
    }
    if (at !== -1) {
      places.get(rows[at][0]).end = spans.length;
      at = next[at];
    }
  }
  addUp(spans);
  return { spans, places, ...summary(spans) };
}

function linked(rows) {
  const known = new Map();
  rows.forEach((row, at) => known.has(row[0]) || known.set(row[0], at));
  const above = new Int32Array(rows.length).fill(-1);
  rows.forEach((row, at) => {
    const parent = known.get(row[1]);
    if (parent !== undefined && parent !== at) above[at] = parent;
  });
  const met = new Int32Array(rows.length);
  for (let from = 0; from < rows.length; from += 1) {
    let at = from;
    while (at !== -1 && met[at] === 0) {
      met[at] = from + 1;
      at = above[at];
    }
    if (at !== -1 && met[at] === from + 1) above[at] = -1; // a ring
  }
  const first = new Int32Array(rows.length).fill(-1);
  const next = new Int32Array(rows.length).fill(-1);
  let start = -1;
  for (let at = rows.length - 1; at >= 0; at -= 1) {
    if (known.get(rows[at][0]) !== at) continue; // a second span of this id
    next[at] = above[at] === -1 ? start : first[above[at]];
    if (above[at] === -1) start = at;
    else first[above[at]] = at;
  }
  return { above, first, next, start };
}

function spanOf(row, at, parent) {
  const [
    id, parentId, name, type, status, start, took, firstToken, model, inputTokens, outputTokens, cost, errorType, isDuplicate,
  ] = row;
  return {
    id, name, type, status, start, took, firstToken, model, inputTokens, outputTokens, cost, errorType, at,
    isDuplicate: Boolean(isDuplicate), isOrphan: parentId !== null && !parent, isFailed: status === "ERROR",
    isRunning: took === null, parent: parent ? parent.at : -1, depth: parent ? parent.depth + 1 : 0, end: at + 1,
    failedBelow: 0, own: null, costsBelow: false, isPlumbing: false, tokens: summed(inputTokens, outputTokens), spent: cost,
    isSum: inputTokens === null && outputTokens === null && cost === null,
  };
}

function addUp(spans) {
  for (let at = spans.length - 1; at >= 0; at -= 1) {
    const span = spans[at];
    span.isPlumbing = isPlumbing(span);
    if (span.isSum) [span.tokens, span.spent] = sums(spans, span);
    span.own = span.took === null ? null : span.took - covered(spans, span);
    if (span.parent === -1) continue;
    const parent = spans[span.parent];
    parent.failedBelow += span.failedBelow + (span.isFailed ? 1 : 0);
    parent.costsBelow ||= span.costsBelow || (span.cost > 0 && !span.isDuplicate);
  }
}

const summed = (a, b) => (a === null ? b : b === null ? a : a + b);

// Where a span does not know what it used, those right below it do: the outermost count.
function sums(spans, span) {
  let [tokens, spent] = [null, null];
  for (let at = span.at + 1; at < span.end; at = spans[at].end) {
    tokens = summed(tokens, spans[at].tokens);
    spent = summed(spent, spans[at].spent);
  }
  return [tokens, spent];
}

function isPlumbing({ type, at, end, parent, isFailed, cost, inputTokens }) {
  if (parent === -1 || isFailed || cost !== null || inputTokens !== null) return false;
  return LEAF_PLUMBING.has(type) || (WRAPPING_PLUMBING.has(type) && end > at + 1);
}

// The time that the spans right below took, each moment once.
function covered(spans, span) {
  const end = span.start + span.took;
  const children = [];
  for (let at = span.at + 1; at < span.end; at = spans[at].end) children.push(spans[at]);
  children.sort((a, b) => a.start - b.start);
  let [total, until] = [0, span.start];
  for (const { start, took } of children) {
    const last = Math.min(took === null ? end : start + took, end);
    if (last > until) {
      total += last - Math.max(start, until);
      until = last;
    }
  }
  return total;
}

function summary(spans) {
  let [from, to, failed, plumbing] = [0, 0, 0, 0];
  const types = new Map();
  for (const span of spans) {
    from = Math.min(from, span.start);
    to = Math.max(to, span.start + (span.took ?? span.firstToken ?? 0));
    failed += span.isFailed ? 1 : 0;
    plumbing += span.isPlumbing ? 1 : 0;
    types.set(span.type, (types.get(span.type) ?? 0) + 1);
  }
  // What runs still goes on a little further than all that is known to have ended.
  const more = spans.some(({ isRunning }) => isRunning) ? (to - from) / 25 : 0;
  return { from, to: Math.max(to + more, from + 1), failed, plumbing, types };
}

/**
 * Return the lines that are shown: places of spans and how deep each is shown, with the lines that lead to it.
 *
 * `collapsed` has ids; `only`, where it is given, has a 1 for each span that is shown, and for all above it. In `guides` and
 * `reds` bit n says that a line of level n goes on below, and that it leads to a failed span.
 */
export function linesOf({ spans }, { collapsed, only, hidesPlumbing }) {
  const places = [];
  const depths = [];
  const inner = new Int32Array(spans.length);
  for (let at = 0; at < spans.length; ) {
    const span = spans[at];
    if (only && !only[at]) {
      at = span.end;
      continue;
    }
    const depth = span.parent === -1 ? 0 : inner[span.parent];
    const isHidden = hidesPlumbing && span.isPlumbing;
    inner[at] = isHidden ? depth : depth + 1;
    if (!isHidden) {
      places.push(at);
      depths.push(depth);
    }
    at = collapsed.has(span.id) && !isHidden ? span.end : at + 1;
  }
  return { places, depths, ...guidesOf(spans, places, depths) };
}

export const DEEPEST_GUIDE = 24;

function guidesOf(spans, places, depths) {
  const guides = new Int32Array(places.length);
  const reds = new Int32Array(places.length);
  let [guide, red] = [0, 0];
  for (let line = places.length - 1; line >= 0; line -= 1) {
    guides[line] = guide;
    reds[line] = red;
    const depth = Math.min(depths[line], DEEPEST_GUIDE);
    const bit = 1 << depth;
    const span = spans[places[line]];
    guide = (guide & (bit - 1)) | bit;
    red = (red & (bit - 1)) | (span.isFailed || span.failedBelow > 0 ? bit : red & bit);
  }
  return { guides, reds };
}

// The marks of `only`: of the spans that `isWanted` and of all above them.
export function withAbove({ spans }, isWanted) {
  const only = new Uint8Array(spans.length);
  for (let at = spans.length - 1; at >= 0; at -= 1) {
    if (!only[at] && !isWanted(spans[at])) continue;
    only[at] = 1;
    if (spans[at].parent !== -1) only[spans[at].parent] = 1;
  }
  return only;
}

// The ids of all spans above one.
export function idsAbove({ spans }, span) {
  const ids = [];
  for (let at = span.parent; at !== -1; at = spans[at].parent) ids.push(spans[at].id);
  return ids;
}

// What is collapsed so that no span deeper than `level` is shown; 0 shows the roots.
export function collapsedTo({ spans }, level) {
  return new Set(spans.filter((span) => span.depth >= level && span.end > span.at + 1).map((span) => span.id));
}

// The spans by what they took themselves, the time of those below left out; the slowest first.
export const bySlowness = ({ spans }) => spans.filter((span) => span.own > 0).sort((a, b) => b.own - a.own);

// The spans that cost something that none below them is known to have cost; the dearest first.
export const byCost = ({ spans }) =>
  spans.filter(({ cost, costsBelow, isDuplicate, parent }) => cost > 0 && !costsBelow && !(isDuplicate && spans[parent]?.cost > 0)).sort((a, b) => b.cost - a.cost);
