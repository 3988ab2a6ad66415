// Lists of which only the lines in sight are in the page.
import { useCallback, useLayoutEffect, useRef, useState } from "./preact.js";

const BEYOND = 6;

// The size of an element: [ref, {width, height}].
export function useSize() {
  const ref = useRef(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const measure = () => {
      const { clientWidth: width, clientHeight: height } = ref.current;
      setSize((before) => (before.width === width && before.height === height ? before : { width, height }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, size];
}

/**
 * Follow what of `count` lines, each `height` pixels high, is in sight of a scrolling element.
 *
 * Returns {ref, onScroll, first, last, page, width, show}: `show(line)` scrolls as little as is needed to have a line in sight.
 */
export function useWindow(count, height) {
  const [ref, size] = useSize();
  const [top, setTop] = useState(0);
  const seen = Math.max(Math.ceil(size.height / height), 1);
  const first = Math.max(0, Math.min(Math.floor(top / height), count - seen) - BEYOND);
  const onScroll = useCallback((event) => {
    // By whole lines: less than that changes nothing.
    const at = event.currentTarget.scrollTop;
    setTop((before) => (Math.floor(before / height) === Math.floor(at / height) ? before : at));
  }, [height]);
  const show = useCallback((line) => {
    const element = ref.current;
    if (!element) return;
    const from = line * height;
    const margin = Math.min(height, Math.max(element.clientHeight - height, 0) / 2);
    if (from - margin < element.scrollTop) element.scrollTop = Math.max(from - margin, 0);
    else if (from + height + margin > element.scrollTop + element.clientHeight) {
      element.scrollTop = from + height + margin - element.clientHeight;
    }
  }, [height]);
  return { ref, onScroll, first, last: Math.min(count, first + seen + 2 * BEYOND), page: Math.max(seen - 2, 1), width: size.width, show };
}
