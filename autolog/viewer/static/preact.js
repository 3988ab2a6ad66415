// Preact and HTM, which the page loads before all modules.
export const {
  html, render, createContext, useState, useMemo, useEffect, useRef, useCallback, useContext, useLayoutEffect, useErrorBoundary,
} = globalThis.htmPreact;
