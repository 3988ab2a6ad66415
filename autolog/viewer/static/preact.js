// Preact and HTM, which the page loads before all modules.
export const { html, render, useState, useMemo, useEffect, useRef, useCallback, useLayoutEffect } = globalThis.htmPreact;
