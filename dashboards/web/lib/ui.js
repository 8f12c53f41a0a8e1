// What every module draws with.
import { h } from "../vendor/preact/preact.js";
import htm from "../vendor/preact/htm-mini.js";

export { render, h, Component, createContext } from "../vendor/preact/preact.js";
export { useState, useEffect, useLayoutEffect, useRef, useMemo, useCallback, useContext } from "../vendor/preact/hooks.js";

/** Markup as Preact has it. */
export const html = htm.bind(h);
