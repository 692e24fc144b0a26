const meta = (name: string) => document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";

/** For the style sheets that components write; the server makes one for each page that it sends. */
export const nonce = () => meta("csp-nonce");

/** What a reader has to know before he believes a figure; empty in production. */
export const notice = () => meta("notice");
