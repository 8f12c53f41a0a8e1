// What every module draws with.
export {
  html, render, h, Component, createContext, useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback,
  useContext, useErrorBoundary,
} from "../vendor/preact/htm-preact.js";
