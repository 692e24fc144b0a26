import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Assets are files of our own beside the page: the Content-Security-Policy lets nothing else run or load.
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: "../src/spotguard/api/built",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
});
