FROM fedora:latest
LABEL maintainer="ops@example.com"
RUN dnf install nginx && dnf clean all
COPY nginx.conf /etc/nginx/nginx.conf
RUN sed -i "s/worker_processes 1/worker_processes auto/" /etc/nginx/nginx.conf
EXPOSE 8080/tcp
STOPSIGNAL SIGQUIT
ENTRYPOINT nginx -g "daemon off;"
