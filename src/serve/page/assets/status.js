// The page is complete without this script. With it, times are local, the page refreshes itself, and
// the filter applies while the reader types.
'use strict';

(() => {
  const REFRESH_MS = 10_000;
  const TYPING_MS = 200;
  // A page that waits for a response without end would look fresh.
  const ANSWER_MS = 30_000;

  // Times are in UTC. The local form is the same, with the local zone. UTC stays as the tooltip.
  const local = new Intl.DateTimeFormat('en-GB', {
    year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', timeZoneName: 'short',
  });

  function localise(tree) {
    for (const time of tree.querySelectorAll('time[datetime]')) {
      const at = new Date(time.getAttribute('datetime'));
      if (Number.isNaN(at.getTime())) continue;
      const part = Object.fromEntries(local.formatToParts(at).map(({ type, value }) => [type, value]));
      const text = `${part.year}-${part.month}-${part.day} ${part.hour}:${part.minute} ${part.timeZoneName}`;
      if (text === time.textContent) continue;
      time.title = time.textContent;
      time.textContent = text;
    }
  }
  localise(document);

  // A link to a folded section unfolds it.
  function unfold() {
    const at = location.hash && document.getElementById(location.hash.slice(1));
    const fold = at && at.closest('details');
    if (!fold || fold.open) return;
    fold.open = true;
    at.scrollIntoView();
  }
  unfold();
  addEventListener('hashchange', unfold);

  const main = document.getElementById('main');
  const announce = document.getElementById('announce');
  const pause = document.getElementById('pause');
  if (!main || main.dataset.live !== 'yes') return;

  let paused = false;
  let asked = null;

  // Changes a tree to another one, and only where they differ, so that the focus, the selection, the scroll position,
  // form input and expanded sections stay as they are.
  function become(old, fresh) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !isOfTheReader(old, name)) old.removeAttribute(name);
    }
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value && !isOfTheReader(old, name)) old.setAttribute(name, value);
    }
    if (old.localName === 'select') return choose(old, fresh);
    const kept = keyed(old);
    let at = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      const same = kept.get(next.id) || (at && !at.id && !next.id && alike(at, next) ? at : null);
      if (!same) {
        old.insertBefore(document.importNode(next, true), at);
        continue;
      }
      if (same === at) at = at.nextSibling; else old.insertBefore(same, at);
      if (same.nodeType !== Node.ELEMENT_NODE) {
        if (same.data !== next.data) same.data = next.data;
      } else become(same, next);
    }
    while (at) {
      const gone = at;
      at = at.nextSibling;
      gone.remove();
    }
  }

  function keyed(parent) {
    const all = new Map();
    for (const child of parent.children) if (child.id) all.set(child.id, child);
    return all;
  }

  const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName;

  function isOfTheReader(element, name) {
    return (element.localName === 'details' && name === 'open') || (element.localName === 'input' && name === 'value');
  }

  function choose(old, fresh) {
    const chosen = old.value;
    const options = (select) => [...select.options].map((option) => option.value).join('\n');
    if (options(old) === options(fresh)) return;
    old.replaceChildren(...[...fresh.childNodes].map((child) => document.importNode(child, true)));
    old.value = chosen;
  }

  // The content stays, with a notice of its age before it.
  const stale = document.createElement('div');
  stale.className = 'notice warning';
  stale.id = 'stale';

  function reportAge(why) {
    const icon = document.querySelector('link[rel=icon]');
    const shown = document.querySelector('footer time').textContent;
    stale.textContent = `Cannot refresh this page: ${why}. The content is of ${shown} and may be outdated.`;
    announce.textContent = stale.textContent;
    if (stale.isConnected) return;
    main.prepend(stale);
    document.title = `Not refreshed: ${document.title}`;
    if (icon) icon.href = icon.dataset.stale;
  }

  // Returns the page in a response, or throws the reason why there is none.
  async function read(answer) {
    const text = await answer.text();
    const isPage = (answer.headers.get('content-type') || '').startsWith('text/html');
    const fresh = isPage && new DOMParser().parseFromString(text, 'text/html');
    if (fresh && fresh.getElementById('main')) return fresh;
    throw new Error(`the monitor returned HTTP status ${answer.status}`);
  }

  async function show(url) {
    if (asked) asked.abort();
    const mine = new AbortController();
    asked = mine;
    const late = setTimeout(() => mine.abort(), ANSWER_MS);
    try {
      const fresh = await read(await fetch(url, { signal: mine.signal, headers: { accept: 'text/html' } }));
      // Another answer is on its way.
      if (asked !== mine) return;
      localise(fresh);
      stale.remove();
      const headline = () => (document.getElementById('headline') || {}).textContent;
      const before = headline();
      become(main, fresh.getElementById('main'));
      for (const part of ['title', 'footer time', 'link[rel=icon]']) {
        const [was, is] = [document.querySelector(part), fresh.querySelector(part)];
        if (was && is) become(was, is);
      }
      if (before !== headline()) announce.textContent = headline();
    } catch (error) {
      // It is tried again.
      if (asked === mine) reportAge(error.name === 'Error' ? error.message : 'the monitor does not answer');
    } finally {
      clearTimeout(late);
      if (asked === mine) asked = null;
    }
  }

  setInterval(() => {
    if (!paused && !asked && document.visibilityState === 'visible') show(location.href);
  }, REFRESH_MS);
  document.addEventListener('visibilitychange', () => {
    if (!paused && document.visibilityState === 'visible') show(location.href);
  });

  if (pause) {
    pause.hidden = false;
    pause.addEventListener('click', () => {
      paused = !paused;
      pause.setAttribute('aria-pressed', String(paused));
    });
  }

  const form = document.getElementById('filter');
  if (!form) return;
  const filtered = () => {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value) query.set(name, value);
    const front = form.getAttribute('action');
    return query.size ? `${front}?${query}` : front;
  };
  // Back undoes a change of the filter. The changes while the reader types in one field are one.
  let isTyped = false;
  const apply = async () => {
    if (location.pathname + location.search !== filtered()) {
      history[isTyped ? 'replaceState' : 'pushState'](null, '', filtered());
      isTyped = document.activeElement.type === 'search';
    }
    await show(location.href);
    const addresses = document.getElementById('addresses-fold');
    if (addresses && document.querySelector('.filtered')) addresses.open = true;
    const count = document.querySelector('.filtered');
    if (count) announce.textContent = count.firstChild.textContent;
  };
  addEventListener('popstate', () => {
    const query = new URLSearchParams(location.search);
    for (const field of form.elements) if (field.name) field.value = query.get(field.name) || '';
    isTyped = false;
    show(location.href);
  });
  form.addEventListener('focusout', () => { isTyped = false; });
  let typing;
  form.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(apply, TYPING_MS);
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    clearTimeout(typing);
    apply();
  });
})();
