// Fetch the modules of the page that the address names at once, not each when another one asks for it.
{
  const page = /^#\/traces\/[^?]/.test(location.hash) ? "trace" : /^(#\/?(traces.*)?)?$/.test(location.hash) ? "list" : null;
  for (const link of document.querySelectorAll(`link[data-page~="${page}"]`)) link.rel = "modulepreload";
}
