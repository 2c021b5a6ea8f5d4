// A script of its own, because the content security policy allows none in a page.
SwaggerUIBundle({ url: "/api/schema/", dom_id: "#api", deepLinking: true, tryItOutEnabled: true, validatorUrl: null });
