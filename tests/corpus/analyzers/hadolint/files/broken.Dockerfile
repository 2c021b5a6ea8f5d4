FROM busybox:1.36
RUN echo one \
    && echo two
RUNN echo three
CMD ["sh"]
